//! The run's authority.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn generate(_now: u64) -> Result<Authority, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Authority { root: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    pub fn certificate_pem(&self) -> String {
        self.root.pem()
    }
}
