//! The secrets that the operator granted: `grants: { secrets: { NAME: { file: PATH } } }`.
//!
//! Each read is in the operator's log, without the secret. A secret must not be written anywhere. Natively, in tests, they
//! are those that [`testing::grant_secret`](crate::testing::grant_secret) made.
//!
//! ```
//! use larder_sdk::{ErrorKind, secrets, testing};
//!
//! testing::grant_secret("token", "correct horse battery staple");
//! testing::run(async {
//!     assert_eq!(secrets::get("token").await.unwrap(), "correct horse battery staple");
//!     assert!(secrets::get("other").await.unwrap_err().is(ErrorKind::PermissionDenied));
//! });
//! ```

use crate::abi;
use crate::error::Result;

/// Returns the secret that the operator granted under this name, as it is now.
///
/// # Errors
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if none was; [`Unavailable`](crate::ErrorKind::Unavailable) if
/// it can not be read now, or was read too often: keep what you read.
pub async fn get(name: &str) -> Result<String> {
    abi::secret(name).await
}
