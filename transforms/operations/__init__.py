"""Where an installation stands and whether it is sound: questions that change nothing and wait for nobody."""
