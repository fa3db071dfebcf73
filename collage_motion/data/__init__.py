"""Motion capture in: BVH files, retargeting to the 22 joints, captions, and the prepared training file."""
