"""What a person sees, without a browser where that is enough."""
