"""What may be asked of a picture, and how the answers are made. No HTTP here."""
