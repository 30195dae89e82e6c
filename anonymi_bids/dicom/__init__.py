"""DICOM in: the only caller of dcm2niix."""
