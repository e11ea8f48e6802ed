"""Large pictures: cut into windows that overlap, and put together again without seams."""
