//! Twins that may be absent.

/// Lets a twin stand inside an `Option`, which serde's `with` does not do by itself.
macro_rules! optional {
    ($module:ident, $type:ty, $twin:literal) => {
        pub mod $module {
            use super::*;

            #[derive(Serialize)]
            struct Out<'a>(#[serde(with = $twin)] &'a $type);
            #[derive(Deserialize)]
            struct In(#[serde(with = $twin)] $type);

            pub fn serialize<S: serde::Serializer>(value: &Option<$type>, to: S) -> Result<S::Ok, S::Error> {
                value.as_ref().map(Out).serialize(to)
            }

            pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<$type>, D::Error> {
                Ok(Option::<In>::deserialize(from)?.map(|value| value.0))
            }
        }
    };
}

pub(super) use optional;
