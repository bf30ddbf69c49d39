"""A network as people bring it, made into one that maps images (B, n, H, W) to logits (B, C) in float32."""
