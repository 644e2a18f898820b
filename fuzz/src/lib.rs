//! Fuzz targets for everything that comes from somewhere else.

pub mod feed;
