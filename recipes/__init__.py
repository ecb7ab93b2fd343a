"""What a user runs: `quickstart`, and recipes for verl and OpenRLHF to copy."""
