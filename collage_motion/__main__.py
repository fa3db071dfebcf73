"""`python -m collage_motion` is the command `collage-motion`."""

from collage_motion.cli import program

if __name__ == "__main__":
    program()
