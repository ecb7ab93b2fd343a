"""The command `threadweaver`: options and printing. No other room imports it."""
