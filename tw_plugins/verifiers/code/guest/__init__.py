"""What runs in the sandbox, as package `guest`: beside it there is the standard library and no more.

cases      a program, once per standard input
program    a program whose functions are called from outside
tests      asserts, whose calls are answered from outside
"""
