"""Networks that this project trains itself: LFI-CAM, ABN and their baseline; checkpoints."""
