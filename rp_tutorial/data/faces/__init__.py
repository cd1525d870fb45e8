"""Sets of faces: drawn people, folders, LFW, CelebA."""
