//! What `environment.json` says of a sweep.

use serde::Serialize;

use crate::model::Model;
use crate::model::outline::LayerOutline;
use crate::record::environment::Environment;
use crate::record::settings::Settings;

/// What `environment.json` says: the settings, the network, and every environment that rows name by
/// its digest.
#[derive(Debug, Clone, Serialize)]
pub struct Description<'a> {
    pub settings: &'a Settings,
    pub layers: Vec<LayerOutline>,
    pub environments: Vec<Described<'a>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Described<'a> {
    pub digest: String,
    #[serde(flatten)]
    pub environment: &'a Environment,
}

impl<'a> Description<'a> {
    /// Describes a sweep of a model that ran in these environments.
    pub fn of(settings: &'a Settings, model: &Model, environments: Vec<&'a Environment>) -> Self {
        let described = environments.into_iter().map(|environment| Described {
            digest: environment.digest(),
            environment,
        });
        Self {
            settings,
            layers: model.outline(),
            environments: described.collect(),
        }
    }
}
