"""PPO in PyTorch as CleanRL (Huang et al. 2022) writes it, with the whole environment on the device too.

python -m scripts.opponents.torch_ppo --steps 1000000 --features 384
"""

import torch
from jsonargparse import auto_cli
from torch import Tensor, nn
from torch.distributions import Categorical

from scripts.opponents.opponent import trainer
from scripts.opponents.problem import Problem, Settings


def layer(size_in: int, size_out: int, gain: float) -> nn.Linear:
    linear = nn.Linear(size_in, size_out)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """A policy over M models and a value, on a shared tanh trunk."""

    def __init__(self, size: int, hidden: tuple[int, int], num_actions: int) -> None:
        super().__init__()
        first, second = hidden
        self.trunk = nn.Sequential(layer(size, first, 2**0.5), nn.Tanh(), layer(first, second, 2**0.5), nn.Tanh())
        self.actor, self.critic = layer(second, num_actions, 0.01), layer(second, 1, 1.0)

    def forward(self, observation: Tensor) -> tuple[Categorical, Tensor]:
        hidden = self.trunk(observation)
        return Categorical(logits=self.actor(hidden), validate_args=False), self.critic(hidden).squeeze(-1)


class Environment:
    """All episodes at once, as indices into the table; where one ends, the next begins."""

    def __init__(self, problem: Problem, num_envs: int, device: torch.device) -> None:
        self.observations = torch.as_tensor(problem.observations, device=device).flatten(0, 1)
        self.rewards = torch.as_tensor(problem.rewards, device=device)
        self.tree = problem.tree
        self.query = self._draw(num_envs)
        self.node = torch.zeros_like(self.query)

    def observation(self) -> Tensor:
        rows = self.query * self.tree.num_decision_nodes + self.node
        return self.observations.index_select(0, rows)  # several times faster than brackets

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Reward and end, both [B]."""
        node = self.tree.child(self.node, action)
        reward = self.rewards[self.query, node]
        done = node >= self.tree.num_decision_nodes
        self.query = torch.where(done, self._draw(len(node)), self.query)
        self.node = torch.where(done, 0, node)
        return reward, done

    def _draw(self, num_envs: int) -> Tensor:
        return torch.randint(len(self.rewards), (num_envs,), device=self.rewards.device)


class TorchPPO:
    """The opponent; on a GPU where there is one."""

    name = "torch"

    def __init__(self, problem: Problem, settings: Settings, seed: int) -> None:
        torch.manual_seed(seed)
        torch.set_float32_matmul_precision("high")  # as JAX multiplies on a GPU by default
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        size, tree = problem.observations.shape[-1], problem.tree
        self.settings, self.steps_per_update = settings, settings.num_envs * tree.horizon
        self.env = Environment(problem, settings.num_envs, device)
        self.agent = Agent(size, settings.hidden, tree.num_models).to(device)
        self.optimizer = torch.optim.Adam(self.agent.parameters(), settings.learning_rate, eps=1e-5, fused=True)
        shape = (tree.horizon, settings.num_envs)
        self.observation = torch.zeros((*shape, size), device=device)
        self.action = torch.zeros(shape, dtype=torch.long, device=device)
        self.log_prob, self.reward, self.value = (torch.zeros(shape, device=device) for _ in range(3))
        self.going = torch.zeros(shape, device=device)

    def update(self) -> None:
        advantage = self.collect()
        target = advantage + self.value
        parts = (self.observation, self.action, self.log_prob, advantage, target, self.value)
        batch = [part.flatten(0, 1) for part in parts]
        for _ in range(self.settings.epochs):
            order = torch.randperm(self.steps_per_update, device=advantage.device)
            for rows in order.chunk(self.settings.minibatches):
                self.improve(*(part.index_select(0, rows) for part in batch))
        self._mean_return = self.reward.sum(0).mean().item()  # a number on the host waits for all that was queued

    @torch.no_grad()
    def collect(self) -> Tensor:
        """Fill the rollout, [L, B]; its advantages."""
        for step in range(len(self.action)):
            self.observation[step] = self.env.observation()
            policy, self.value[step] = self.agent(self.observation[step])
            self.action[step] = policy.sample()
            self.log_prob[step] = policy.log_prob(self.action[step])
            self.reward[step], done = self.env.step(self.action[step])
            self.going[step] = ~done
        _, next_value = self.agent(self.env.observation())
        advantages, advantage = torch.zeros_like(self.value), torch.zeros_like(next_value)
        gamma, decay = self.settings.gamma, self.settings.gamma * self.settings.gae_lambda
        for step in reversed(range(len(self.action))):
            delta = self.reward[step] + gamma * next_value * self.going[step] - self.value[step]
            advantages[step] = advantage = delta + decay * self.going[step] * advantage
            next_value = self.value[step]
        return advantages

    def improve(
        self,
        observation: Tensor,
        action: Tensor,
        log_prob: Tensor,
        advantage: Tensor,
        target: Tensor,
        old_value: Tensor,
    ) -> None:
        """One gradient step on a minibatch."""
        settings = self.settings
        policy, value = self.agent(observation)
        ratio = (policy.log_prob(action) - log_prob).exp()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        actor_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
        near = old_value + (value - old_value).clamp(-settings.clip, settings.clip)
        value_loss = 0.5 * torch.max((value - target) ** 2, (near - target) ** 2).mean()
        bonus = settings.entropy * policy.entropy().mean()
        self.optimizer.zero_grad()
        (actor_loss + settings.value_coefficient * value_loss - bonus).backward()
        nn.utils.clip_grad_norm_(self.agent.parameters(), settings.max_grad_norm, foreach=True)
        self.optimizer.step()

    def mean_return(self) -> float:
        return self._mean_return


if __name__ == "__main__":
    auto_cli(trainer(TorchPPO), as_positional=False)
