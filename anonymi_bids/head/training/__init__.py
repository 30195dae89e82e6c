"""How the head model is trained: subjects, random scans, network, losses, loop, export."""
