"""The reference cohort: this project's own methods, attacked on digital people."""
