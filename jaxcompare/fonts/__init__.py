"""The fonts of the pictures and pages: font files, `subset`, which made the files, and `page`. Imports nothing of ours."""
