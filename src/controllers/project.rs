//! The project controller: is the project well-formed, and what runs where (one row an environment).

pub mod rows;
