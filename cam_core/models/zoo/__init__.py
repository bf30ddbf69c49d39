"""The networks known by name: catalogue, timm, torchvision, their weights and labels."""
