"""What verl needs to run on a machine without an accelerator; inert where there is one."""
