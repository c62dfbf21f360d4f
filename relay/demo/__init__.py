"""One command that brings up every real part on this machine."""
