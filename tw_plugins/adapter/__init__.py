"""What an adapter to a framework is made of."""
