//! Debian as a source of packages: mirrors, a private apt root, pinned fetches.
