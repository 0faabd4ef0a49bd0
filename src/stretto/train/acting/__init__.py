"""Looking and acting: what the arm should do next, learned from experts that answer in any state."""
