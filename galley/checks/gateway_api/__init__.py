"""What objects of the Gateway API must hold beyond their types: the rules of its published schemas. Pure."""
