"""Where brain, skull, skin, face and ears are, on any scan."""
