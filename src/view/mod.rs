//! What people see: overlay pictures and the HTML report.
