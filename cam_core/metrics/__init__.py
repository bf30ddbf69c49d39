"""What maps and coefficients are worth: faithfulness, similarity to SHAP, and how sure a mean over images is."""
