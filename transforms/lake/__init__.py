"""Landing, gate, lake and quarantine: what arrives is accounted for row by row."""
