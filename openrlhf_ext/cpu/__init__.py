"""What OpenRLHF needs to run on the CPU; asleep unless `DS_ACCELERATOR=cpu` (`openrlhf_ext.device`).

Each module names the upstream line it works around (OpenRLHF 0.11.2);
`tests/unit/openrlhf_ext/test_cpu.py` fails for each once upstream has mended it.
"""
