//! A Statement in a DSSE envelope, signed with Ed25519: as `cosign
//! verify-blob-attestation` and the tools of in-toto read it.
//! (<https://github.com/secure-systems-lab/dsse>, protocol 1.0.2)

use crate::chain;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Why there is no signature, or none that holds.
#[derive(Debug, Error)]
pub enum SignedError {
    /// Not a private key.
    #[error(
        "expected an Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` makes it: {0}"
    )]
    PrivateKey(String),
    /// Not a public key.
    #[error(
        "expected an Ed25519 public key in PEM, as `openssl pkey -in KEY -pubout` makes it: {0}"
    )]
    PublicKey(String),
    /// Not an envelope.
    #[error("expected a DSSE envelope with a Statement: {0}")]
    Envelope(String),
    /// A signature of somebody else, or of something else.
    #[error("the signature is not of this key, or what it is about was changed")]
    Signature,
}

/// A private key.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// Reads PKCS #8 in PEM.
    pub fn from_pem(text: &str) -> Result<PrivateKey, SignedError> {
        SigningKey::from_pkcs8_pem(text)
            .map(PrivateKey)
            .map_err(|error| SignedError::PrivateKey(error.to_string()))
    }
}

/// A public key.
#[derive(Debug)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in PEM.
    pub fn from_pem(text: &str) -> Result<PublicKey, SignedError> {
        VerifyingKey::from_public_key_pem(text)
            .map(PublicKey)
            .map_err(|error| SignedError::PublicKey(error.to_string()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// What is signed: the payload with its type, each with its length before it.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The Statement in an envelope: one line. `keyid` is the SHA-256 of the public key in
/// DER, a hint to whoever has several.
///
/// # Errors
/// Where JSON or the key's DER cannot be written, which neither is a reason for.
pub fn seal(statement: &str, key: &PrivateKey) -> Result<String, SignedError> {
    let envelope = |error: &dyn std::fmt::Display| SignedError::Envelope(error.to_string());
    let signature = key.0.sign(&signed_bytes(PAYLOAD_TYPE, statement.as_bytes()));
    let der = key.0.verifying_key().to_public_key_der().map_err(|error| envelope(&error))?;
    let keyid = chain::sha256(der.as_bytes());
    let mut line = serde_json::to_string(&Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: STANDARD.encode(statement),
        signatures: vec![EnvelopeSignature { keyid, sig: STANDARD.encode(signature.to_bytes()) }],
    })
    .map_err(|error| envelope(&error))?;
    line.push('\n');
    Ok(line)
}

/// Opens an envelope that `key` has signed: the SHA-256 digests of its Statement's subjects.
///
/// # Errors
/// When it is none, no Statement is in it, or the signature does not hold.
pub fn open(bytes: &[u8], key: &PublicKey) -> Result<Vec<String>, SignedError> {
    #[derive(Deserialize)]
    struct Statement {
        #[serde(rename = "_type")]
        kind: String,
        subject: Vec<Subject>,
    }
    #[derive(Deserialize)]
    struct Subject {
        digest: Digests,
    }
    #[derive(Deserialize)]
    struct Digests {
        sha256: Option<String>,
    }
    let malformed = |error: &dyn std::fmt::Display| SignedError::Envelope(error.to_string());
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let payload = STANDARD.decode(&envelope.payload).map_err(|error| malformed(&error))?;
    let signed = signed_bytes(&envelope.payload_type, &payload);
    let holds = envelope.signatures.iter().any(|one| {
        let signature = STANDARD.decode(&one.sig).ok();
        let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| key.0.verify_strict(&signed, &signature).is_ok())
    });
    // Before anything of it is believed.
    if !holds {
        return Err(SignedError::Signature);
    }
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| malformed(&error))?;
    if (envelope.payload_type.as_str(), statement.kind.as_str())
        != (PAYLOAD_TYPE, super::in_toto::STATEMENT)
    {
        return Err(malformed(&format!("it is of the type {:?}", statement.kind)));
    }
    Ok(statement.subject.into_iter().filter_map(|subject| subject.digest.sha256).collect())
}
