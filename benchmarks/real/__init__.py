"""The installed command on real scans: what is released, what is withheld, what brains lose."""
