"""Complete trainings: each file is one recipe that can be stopped and goes on."""
