"""Reports that a page shows and a command prints: channels, agreement, closeness to SHAP, stability."""
