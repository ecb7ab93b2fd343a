"""The command `threadweaver`: options and printing. Nothing imports it."""
