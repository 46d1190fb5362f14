//! The run's certificate authority, and the certificates it makes.
//!
//! Its key is made in this process and never leaves it; the image is given the certificate. All leaf
//! certificates share one key, because making keys is what costs; they are made per name when a client
//! asks, and kept in a bounded store.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

/// So many certificates are kept, of about a kilobyte each.
const CERTIFICATES_MAX: usize = 1024;
/// A public authority's: it was there long before the run and stays long after.
const ROOT_DAYS: (i64, i64) = (1500, 3500);
const LEAF_DAYS: (i64, i64) = (20, 70);
/// Of a name in a certificate (RFC 5280, appendix A: `ub-common-name`).
const COMMON_NAME_MAX: usize = 64;
/// Of a host (RFC 1035, 2.3.4), as text.
const NAME_MAX: usize = 253;

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    #[error("the run's certificate authority could not be made")]
    Make(#[source] rcgen::Error),
    #[error("the servers' key cannot be used")]
    Key(#[source] rustls::Error),
}

/// Vouches for every name in the world.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    key: KeyPair,
    signing: Arc<dyn rustls::sign::SigningKey>,
    now: OffsetDateTime,
    made: RefCell<HashMap<Vec<u8>, Arc<CertifiedKey>>>,
}

impl Authority {
    /// `now` in seconds since 1970.
    pub fn generate(now: u64) -> Result<Authority, AuthorityError> {
        let now = i64::try_from(now).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
        let now = now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let key = KeyPair::generate().map_err(AuthorityError::Make)?;
        let root = KeyPair::generate().and_then(|key| CertifiedIssuer::self_signed(root(now), key));
        let signing = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::ring::sign::any_ecdsa_type(&signing).map_err(AuthorityError::Key)?;
        Ok(Authority {
            root: root.map_err(AuthorityError::Make)?,
            key,
            signing,
            now,
            made: RefCell::default(),
        })
    }

    /// The authority's certificate, which the image shall trust.
    pub fn certificate_pem(&self) -> String {
        self.root.pem()
    }

    /// The certificate that the image is given to trust.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// A certificate for the name that the client asked for, or for the address where it asked for none.
    /// `None`: no certificate can hold such a name.
    pub fn certify(&self, name: Option<&[u8]>, address: IpAddr) -> Option<Arc<CertifiedKey>> {
        let known = name.map_or_else(|| address.to_string().into_bytes(), <[u8]>::to_vec);
        if let Some(made) = self.made.borrow().get(&known) {
            return Some(Arc::clone(made));
        }
        let made = Arc::new(self.make(name, address)?);
        let mut kept = self.made.borrow_mut();
        if kept.len() >= CERTIFICATES_MAX {
            kept.clear();
        }
        kept.insert(known, Arc::clone(&made));
        Some(made)
    }

    fn make(&self, name: Option<&[u8]>, address: IpAddr) -> Option<CertifiedKey> {
        let (subject, shown) = subject(name, address)?;
        let mut params = dated(self.now, LEAF_DAYS);
        params.distinguished_name = DistinguishedName::new();
        if shown.len() <= COMMON_NAME_MAX {
            params.distinguished_name.push(DnType::CommonName, shown);
        }
        params.subject_alt_names = vec![subject];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.key, &self.root).ok()?;
        let chain = vec![leaf.der().clone(), self.certificate_der()];
        Some(CertifiedKey::new(chain, Arc::clone(&self.signing)))
    }
}

fn subject(name: Option<&[u8]>, address: IpAddr) -> Option<(SanType, String)> {
    let Some(name) = name else { return Some((SanType::IpAddress(address), address.to_string())) };
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= NAME_MAX)?;
    Some((SanType::DnsName(name.try_into().ok()?), name.to_owned()))
}

fn root(now: OffsetDateTime) -> CertificateParams {
    let mut params = dated(now, ROOT_DAYS);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "US");
    params.distinguished_name.push(DnType::OrganizationName, "Meridian Trust Services");
    params.distinguished_name.push(DnType::CommonName, "Meridian Global Root R3");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn dated(now: OffsetDateTime, (before, after): (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = now - Duration::days(before);
    params.not_after = now + Duration::days(after);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn a_name_is_certified_once_and_a_flood_of_names_is_bounded() {
        let authority = Authority::generate(NOW).unwrap();
        let address = IpAddr::from([203, 0, 113, 7]);
        let first = authority.certify(Some(b"a.example"), address).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.certify(Some(b"a.example"), address).unwrap()));
        for number in 0..CERTIFICATES_MAX + 10 {
            authority.certify(Some(format!("{number}.example").as_bytes()), address).unwrap();
        }
        assert!(authority.made.borrow().len() <= CERTIFICATES_MAX);
        assert!(authority.certify(None, address).is_some());
        assert!(authority.certify(Some(&[0xff]), address).is_none());
        assert!(authority.certify(Some(&[b'x'; 1000]), address).is_none());
    }

    #[test]
    fn no_certificate_names_the_product() {
        let authority = Authority::generate(NOW).unwrap();
        assert!(authority.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        let leaf = authority.certify(Some(b"a.example"), IpAddr::from([203, 0, 113, 7])).unwrap();
        for certificate in leaf.cert.iter() {
            let text = String::from_utf8_lossy(certificate).to_lowercase();
            assert!(!text.contains("lazaret") && !text.contains("rcgen"), "{text}");
        }
    }

    #[test]
    fn a_time_that_no_calendar_has_makes_an_authority_all_the_same() {
        assert!(Authority::generate(u64::MAX).is_ok());
        assert!(Authority::generate(0).is_ok());
    }
}
