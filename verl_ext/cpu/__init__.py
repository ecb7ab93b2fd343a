"""What verl needs to run on a machine without an accelerator; asleep unless VERL_PLATFORM=cpu."""
