"""What a run records of its surroundings; each part can be switched off alone (RUN-30)."""
