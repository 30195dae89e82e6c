"""How well faces are removed and brains kept, measured against truth on digital people."""
