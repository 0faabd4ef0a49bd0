"""The keyword spotter of the reflex: features and runner without torch, the network with it."""
