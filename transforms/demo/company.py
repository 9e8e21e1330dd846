"""What is planted: the population parameters of the sample company, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass

GENERATION = 2
"""Version of the recipe. Raise it when the same seed begins to give other files."""


@dataclass(frozen=True)
class Company:
    """Population parameters; rates are per operational day (almanac.py), amounts in EUR."""

    stores: int = 200

    # Use of channels, as shares of people.
    online_only: float = 0.063
    offline_only: float = 0.040
    mostly_online: float = 0.425
    buyers: float = 0.88

    # Purchases: Pareto/NBD (Schmittlein, Morrison, Colombo 1987), lambda ~ Gamma(r, alpha),
    # mu ~ Gamma(s, beta), time in days; order value: Gamma-Gamma (Fader, Hardie 2005) with p, q, gamma.
    r: float = 0.85
    alpha: float = 48.0
    s: float = 0.8
    beta: float = 600.0
    p: float = 4.0
    q: float = 3.75
    gamma: float = 31.0
    web_return_rate: float = 0.070
    store_return_rate: float = 0.034

    # Identity life, as shares of people unless said otherwise.
    in_couples: float = 0.35
    accounts: float = 0.92
    cards: float = 0.76
    linked_cards: float = 0.82
    apps: float = 0.72
    email_changes: float = 0.08
    mobile_changes: float = 0.04
    phone_changes: float = 0.14
    recycled_numbers: float = 0.003
    resold_phones: float = 0.002
    household_landlines: float = 0.40
    couples_with_tablet: float = 0.55
    couples_with_joint_card: float = 0.20
    kiosk_users: float = 0.06
    people_per_kiosk: int = 6_000
    people_per_cashier_card: int = 4_000
    people_per_house_device: int = 10_000
    mistyped_emails: float = 0.015  # of typed e-mails
    placeholders: float = 0.004  # of identifier values
    anonymous_receipts: float = 0.12  # of till receipts

    # Hotline.
    mean_wait_seconds: float = 12.3  # over answered calls
    answered_at_once: float = 0.50  # of answered calls
    wait_spread: float = 1.3  # sigma of the log-normal wait of the others
    self_service: float = 0.08  # of calls
    abandoned: float = 0.050  # of calls

    dirt_rate: float = 0.003  # refused and doubled rows among all rows, all kinds together

    @property
    def both_channels(self) -> float:
        """Share of people who use online and offline channels."""
        return 1 - self.online_only - self.offline_only

    def as_dict(self) -> dict[str, float]:
        """All parameters, with the derived shares."""
        return {**asdict(self), "both_channels": self.both_channels}
