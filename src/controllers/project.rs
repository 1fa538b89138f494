//! The project controller: is the project well-formed, and what runs where (one row an environment).

pub mod decide;
pub mod observe;
pub mod rows;
