"""The screens: one question a page, and nothing that computes."""
