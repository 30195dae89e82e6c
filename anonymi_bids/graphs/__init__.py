"""``init_*_wf`` factories only."""
