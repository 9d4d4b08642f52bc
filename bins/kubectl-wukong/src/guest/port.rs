//! Ports in arguments.

/// Reads a port number.
///
/// # Errors
/// It is none from 1 to 65535.
pub fn number(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a port number from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}
