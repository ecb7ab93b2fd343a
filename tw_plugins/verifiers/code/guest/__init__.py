"""What runs inside the sandbox: the standard library is all that is there, and these files, as package `guest`.

    cases      a program, once per standard input
    program    a program whose functions are called from outside
    tests      asserts, whose calls are answered from outside
"""
