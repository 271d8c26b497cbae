"""What the rooms talk about, and the seams (`ports`) through which they meet."""
