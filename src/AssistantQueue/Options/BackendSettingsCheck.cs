using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Options;

namespace AssistantQueue;

/// <summary>Checks a backend's settings when the host starts. Keyed by the queue's name, so that the queue's own check calls it and all faults are in one message. Also compiled into the packages that have settings of their own.</summary>
internal sealed class BackendSettingsCheck<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] T>(IOptionsMonitor<T> options, string queue) : IStartupValidator
    where T : class
{
    /// <exception cref="OptionsValidationException">The settings are bad.</exception>
    public void Validate() => options.Get(queue);
}
